/** For programs that must know the type of a file, and load no more than that takes. */
export { sniff } from '@sluice/images/sniff'
