export { type FetcherOptions, openFetcher } from './fetcher.ts'
