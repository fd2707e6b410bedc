import { describe, expect, test } from 'vitest'
import { formatOf, render } from './formats.ts'

describe('the format of an answer', () => {
  test.each([
    [undefined, 'xml'],
    ['', 'xml'],
    ['*/*', 'xml'],
    ['image/png', 'xml'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'xml'],
    ['application/json', 'json'],
    ['application/json, text/plain, */*', 'json'],
    ['application/json;q=0.5, text/xml', 'xml'],
    ['application/json;q=0, */*;q=0.1', 'xml'],
    ['APPLICATION/JSON; charset=utf-8', 'json'],
    ['text/plain', 'query'],
    ['application/json;q=x', 'xml'],
  ])('for Accept: %s is %s', (accept, format) => {
    expect(formatOf(accept)).toBe(format)
  })

  const images = [
    { id: 5, label: '', types: ['image', 'thumbnail'] },
    { id: 7, label: '<a & "b">\r\u0000\uD800', types: [] },
  ]

  test('is XML as that system indents it', () => {
    expect(render('xml', images)).toEqual({
      type: 'application/xml; charset=utf-8',
      body: `<?xml version="1.0"?>
<magento_api>
  <data_item>
    <id>5</id>
    <label></label>
    <types>
      <data_item>image</data_item>
      <data_item>thumbnail</data_item>
    </types>
  </data_item>
  <data_item>
    <id>7</id>
    <label>&lt;a &amp; "b"&gt;&#13;\uFFFD\uFFFD</label>
    <types/>
  </data_item>
</magento_api>
`,
    })
    expect(render('xml', []).body).toBe('<?xml version="1.0"?>\n<magento_api/>\n')
  })

  test('is JSON', () => {
    expect(JSON.parse(render('json', images).body)).toEqual(images)
  })

  test('is a query as PHP writes it', () => {
    expect(render('query', images.slice(0, 1)).body).toBe(
      '0%5Bid%5D=5&0%5Blabel%5D=&0%5Btypes%5D%5B0%5D=image&0%5Btypes%5D%5B1%5D=thumbnail',
    )
  })
})
