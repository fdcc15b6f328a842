/** How four or three raw bytes of a decoded image become light: alpha, inks and grey, in integers. */

/** Channels of a decoded image, a byte each: light, light with alpha that is not multiplied in, or four inks. */
export type RawLayout = 'grey' | 'rgb' | 'rgba' | 'cmyk'

/** As decoders give it, turned as EXIF says. */
export interface RawImage {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
  readonly layout: RawLayout
}

/**
 * Lays alpha over black, turns inks into light, and light into grey or three equal channels, as wanted: in place, where
 * pixels do not grow.
 *
 * @param raw width × height × (1, 3 or 4, as `layout` says) bytes; overwritten
 * @returns width × height × channels bytes, at the start of `raw` or of their own
 */
export function toLight(raw: Uint8Array, layout: RawLayout, channels: 1 | 3): Uint8Array {
  if (layout === 'grey') return channels === 1 ? raw : repeated(raw)
  if (layout === 'rgb' && channels === 3) return raw
  const stride = layout === 'rgb' ? 3 : 4
  let target = 0
  for (let source = 0; source < raw.length; source += stride) {
    let red = raw[source]
    let green = raw[source + 1]
    let blue = raw[source + 2]
    if (layout === 'rgba') {
      const alpha = raw[source + 3]
      if (alpha !== 255) {
        red = overBlack(red, alpha)
        green = overBlack(green, alpha)
        blue = overBlack(blue, alpha)
      }
    } else if (layout === 'cmyk') {
      const black = raw[source + 3]
      red = inkToLight(red, black)
      green = inkToLight(green, black)
      blue = inkToLight(blue, black)
    }
    if (channels === 1) {
      raw[target++] = grey(red, green, blue)
    } else {
      raw[target++] = red
      raw[target++] = green
      raw[target++] = blue
    }
  }
  return raw.subarray(0, target)
}

function repeated(grey: Uint8Array): Uint8Array {
  const light = new Uint8Array(3 * grey.length)
  for (let pixel = 0; pixel < grey.length; pixel++) light.fill(grey[pixel], 3 * pixel, 3 * pixel + 3)
  return light
}

/** The value times alpha ÷ 255, rounded. */
function overBlack(value: number, alpha: number): number {
  return Math.floor((value * alpha + 127) / 255)
}

/** (255 − ink)(255 − black) ÷ 255, rounded: the light that two inks let through. No colour profile is applied. */
function inkToLight(ink: number, black: number): number {
  return Math.floor(((255 - ink) * (255 - black) + 127) / 255)
}

/** Luma of ITU-R BT.601 in 16-bit fixed point; the weights sum to 2¹⁶, so grey stays as it is. */
function grey(red: number, green: number, blue: number): number {
  return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
}
