/** What serving needs of any model, discrete or float: rows of pixels in, rows of logits out. */
export interface Classifier {
  /** Bytes of one row: height × width × channels, NHWC, one unsigned byte each. */
  readonly rowBytes: number
  readonly classes: number
  /** The most rows that one call takes. */
  readonly maxRows: number
  /**
   * @param pixels at least rows × rowBytes bytes
   * @param rows 1..maxRows
   * @param members the first so many members answer, 1..K (a float model has one)
   * @returns float32 [rows, members, classes], the caller's to keep
   */
  classify(pixels: Uint8Array, rows: number, members: number): Float32Array | Promise<Float32Array>
}
