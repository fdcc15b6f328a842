/** What a body may be that is one row, or one row after the other. */
export const imageTypes = ['image/png', 'image/jpeg', 'image/webp'] as const
export const pixelType = 'application/octet-stream'

/** All that `/predict` and `/compare` take. */
export const acceptedTypes: readonly string[] = ['multipart/form-data', ...imageTypes, pixelType]
