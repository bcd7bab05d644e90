/** Where text stands and how it looks. */
export interface TextStyle {
  readonly size?: number
  readonly weight?: 'normal' | 'bold'
  readonly color?: string
  readonly anchor?: 'start' | 'middle' | 'end'
}

const BACKGROUND = '#fdfdfb'

/** A drawing that grows downwards: just what a plot of bars needs. */
export class Svg {
  readonly width: number
  readonly #elements: string[] = []

  constructor(width: number) {
    this.width = width
  }

  rect(
    box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
    fill: string,
  ): void {
    const { x, y, width, height } = box
    this.#elements.push(`<rect x="${px(x)}" y="${px(y)}" width="${px(width)}" height="${px(height)}" fill="${fill}"/>`)
  }

  line(
    from: { readonly x: number; readonly y: number },
    to: { readonly x: number; readonly y: number },
    style: string,
  ): void {
    this.#elements.push(`<line x1="${px(from.x)}" y1="${px(from.y)}" x2="${px(to.x)}" y2="${px(to.y)}" ${style}/>`)
  }

  text(at: { readonly x: number; readonly y: number }, text: string, style: TextStyle = {}): void {
    const { size = 12, weight = 'normal', color = '#222', anchor = 'start' } = style
    // The halo keeps text readable where a line crosses it.
    const halo = `stroke="${BACKGROUND}" stroke-width="3" paint-order="stroke"`
    const look = `font-size="${size}" font-weight="${weight}" fill="${color}" text-anchor="${anchor}" ${halo}`
    this.#elements.push(`<text x="${px(at.x)}" y="${px(at.y)}" ${look}>${escaped(text)}</text>`)
  }

  /** The whole drawing, on a light background. */
  toString(title: string, height: number): string {
    const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.width} ${px(height)}" width="${this.width}" height="${px(height)}" font-family="system-ui, sans-serif" role="img">`
    const background = `<rect width="100%" height="100%" fill="${BACKGROUND}"/>`
    return [open, `<title>${escaped(title)}</title>`, background, ...this.#elements, '</svg>', ''].join('\n')
  }
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
