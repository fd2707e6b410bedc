export { openFilesystemObjects } from './filesystem.ts'
export type { FilesystemOptions } from './filesystem.ts'
export { openMinioObjects } from './minio.ts'
export type { MinioOptions } from './minio.ts'
