import { SingleBar } from 'cli-progress'
import { type AllInOne, DEMO_STEPS, type DemoImage, isFirstRun, openAllInOne, runDemo, runService } from '@sluice/runtime'
import { printTable, say } from './print.ts'

/** Runs everything in one process until Ctrl-C. */
export async function runUp({ demo }: { demo: boolean }): Promise<void> {
  await runService(async (config, observability) => {
    say('Starting …')
    const sluice = await openAllInOne(config, observability)
    try {
      if (demo && sluice.adminToken && (await isFirstRun(sluice.parts.database))) await showDemo(sluice.url, sluice.adminToken)
      greet(sluice)
      return sluice
    } catch (error) {
      await sluice[Symbol.asyncDispose]()
      throw error
    }
    // It speaks for itself: log lines between the lines for people are only for what is wrong.
  }, 'warn')
}

/** Brings sample images in by every form of upload, and shows what became of them. */
async function showDemo(url: string, token: string): Promise<void> {
  const bar = new SingleBar({
    format: 'Bringing in sample images  {bar}  {value}/{total}  {form}',
    barsize: 24,
    hideCursor: true,
    noTTYOutput: false,
  })
  const images: DemoImage[] = []
  bar.start(DEMO_STEPS, 0, { form: '' })
  try {
    await runDemo({ url, token }, (image) => {
      images.push(image)
      bar.update(images.length, { form: images.length < DEMO_STEPS ? `by ${image.form}` : 'done' })
    })
  } finally {
    bar.stop()
  }
  say()
  printTable(
    ['product', 'name', 'by', 'type', 'size', 'dimensions', 'url'],
    images.map(({ form, name, mediaType, bytes, width, height, url }) => [
      'demo',
      name,
      form,
      mediaType,
      `${(bytes / 1024).toFixed(1)} KiB`,
      `${width} × ${height}`,
      url,
    ]),
  )
  say()
}

function greet({ url, consoleUrl, adminToken, parts }: AllInOne): void {
  say(`Sluice is ready at ${url}`)
  say(`  API reference   ${url}/docs`)
  say(`  Console         ${consoleUrl}   (log in with the admin token)`)
  if (parts.config.bootstrapToken !== null) {
    // Output is kept: by terminals, by containers, by journals.
    say('  Admin token     the one in SLUICE_BOOTSTRAP_TOKEN')
  } else if (adminToken) {
    say(`  Admin token     ${adminToken}`)
    say()
    say('Try:')
    say(`  curl -s -H 'Authorization: Bearer ${adminToken}' ${url}/v1/products/sku:demo/images`)
  } else {
    say('  Admin token     was shown on the first start; "sluice token create --role admin --name <you>" makes another')
  }
  say()
  say('Ctrl-C stops it.')
}
