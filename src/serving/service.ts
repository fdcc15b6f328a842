import type { Service, ServiceOptions } from './types.ts'

/**
 * Loads the models, starts the workers, and resolves when every worker has replayed the check vectors of every model.
 *
 * @throws CONFIGURATION_INVALID (a backend that is not there), MODELS_MISSING
 */
export declare function createService(options: ServiceOptions): Promise<Service>
