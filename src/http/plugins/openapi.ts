import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { Model, ModelList } from '../schemas/models.ts'
import {
  BaselinePrediction,
  BaselinePredictionAnswer,
  Comparison,
  ComparisonAnswer,
  Prediction,
  PredictionAnswer,
} from '../schemas/predict.ts'
import { InferenceError, Problem, RowError } from '../schemas/problem.ts'
import { type TProperties, Type } from '../schemas/type.ts'
import {
  InferRequest,
  InferResponse,
  ModelConfiguration,
  ModelMetadata,
  RepositoryIndex,
  ServerMetadata,
  Statistics,
} from '../schemas/v2.ts'
import { version } from '../version.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a route that reads its body itself: what it takes, for the documentation only. */
    documentedBody?: { readonly required: boolean; readonly content: object }
    /** The headers that such a route reads. */
    documentedHeaders?: TProperties
  }
}

const shared = [
  Problem,
  InferenceError,
  RowError,
  Prediction,
  PredictionAnswer,
  BaselinePrediction,
  BaselinePredictionAnswer,
  Comparison,
  ComparisonAnswer,
  Model,
  ModelList,
  ServerMetadata,
  ModelMetadata,
  ModelConfiguration,
  RepositoryIndex,
  Statistics,
  InferRequest,
  InferResponse,
]

/** Of a route that takes a key. */
export const keySecurity = [{ key: [] }]

/** Collects the routes' schemas into `/openapi.json`. Registered on the root, before the routes. */
export async function addOpenapi(app: FastifyInstance): Promise<void> {
  for (const schema of shared) app.addSchema(schema)
  const withoutBody = new Set<string>()
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'xnord',
        version,
        description: 'Image classification by binarized neural networks, computed with XOR and popcount.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            description: 'One of the keys that the operator configured.',
          },
        },
      },
      tags: [
        { name: 'predict', description: 'Images in, answers out' },
        { name: 'models', description: 'What is loaded' },
        { name: 'inference', description: 'The Open Inference Protocol, version 2' },
        { name: 'operation', description: 'For those who run the service' },
      ],
    },
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) => String(json.$id ?? `schema-${index}`),
    },
    transform: ({ schema, url, route }) => {
      const { documentedBody: body, documentedHeaders } = route.config ?? {}
      if (body?.required === false) withoutBody.add(url.replaceAll(/:(\w+)/g, '{$1}'))
      const headers = documentedHeaders && Type.Object(documentedHeaders)
      return { url, schema: { ...schema, ...(body && { body }), ...(headers && { headers }) } }
    },
    transformObject: documents => {
      if (!('openapiObject' in documents)) throw new Error('The document is not one of OpenAPI 3.')
      const { paths } = documents.openapiObject
      // To the plugin every body is required.
      for (const path of withoutBody) Object.assign(paths![path]!.post!.requestBody!, { required: false })
      return documents.openapiObject
    },
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
