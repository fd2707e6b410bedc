/** Takes memory, faster than anybody looks, until it gets no more; then tells what it had and what it was told. */
const taken: Uint8Array[] = []
try {
  for (;;) taken.push(new Uint8Array(16 * 1024 * 1024).fill(1))
} catch (error) {
  process.send?.({ residentBytes: process.memoryUsage.rss(), error: String(error) })
}
