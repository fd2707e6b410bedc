export { openDecoder } from './decoder.ts'
export { sniff } from './sniff.ts'
