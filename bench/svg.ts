/** An SVG that is legible on white and on black. */

export interface Picture {
  readonly width: number
  readonly height: number
  /** Above the picture, and read aloud in its place. */
  readonly caption: string
  /** Of classes of its own, in CSS; the second one holds on black. */
  readonly style: string
  readonly darkStyle: string
  readonly parts: readonly string[]
}

export function svg({ width, height, caption, style, darkStyle, parts }: Picture): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="caption">
<title id="caption">${escaped(caption)}</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600 }
${style}
@media (prefers-color-scheme: dark) {
text { fill: #ddd }
${darkStyle}
}
</style>
<text class="title" x="0" y="16">${escaped(caption)}</text>
${parts.join('\n')}
</svg>
`
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
