/**
 * The tables. Every row bears its tenant, and composite foreign keys keep a row from pointing into another tenant. What is
 * opaque to the database is `json`, not `jsonb`: it keeps the text as it came, and does not refuse the `\u0000` that EXIF
 * and error texts may contain.
 */
export * from './schema/access.ts'
export * from './schema/files.ts'
export * from './schema/products.ts'
export * from './schema/ingests.ts'
export * from './schema/catalogue.ts'
export * from './schema/hooks.ts'
export * from './schema/imports.ts'
export * from './schema/uploads.ts'
export * from './schema/webhooks.ts'
