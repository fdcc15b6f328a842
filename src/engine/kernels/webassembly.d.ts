/** The part of the WebAssembly interface that is used here: @types/node declares none of it. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>)
  }

  interface MemoryDescriptor {
    /** Pages of 64 KiB. */
    readonly initial: number
    readonly maximum: number
    readonly shared: true
  }

  class Memory {
    constructor(descriptor: MemoryDescriptor)
    readonly buffer: SharedArrayBuffer
  }

  class Instance {
    constructor(module: Module, imports?: Readonly<Record<string, unknown>>)
    readonly exports: Readonly<Record<string, unknown>>
  }

  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>
}
