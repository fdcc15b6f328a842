/** Files dropped anywhere on the page: a near miss must not make the browser leave it. */
export function acceptDrops(surface: HTMLElement, onDrop: (files: readonly File[]) => void): void {
  const mark = (on: boolean) => surface.classList.toggle('dropping', on)
  document.addEventListener('dragover', event => {
    event.preventDefault()
    mark(true)
  })
  // Leaving one element for another within the page names the other; leaving the page names none.
  document.addEventListener('dragleave', event => {
    if (event.relatedTarget === null) mark(false)
  })
  document.addEventListener('drop', event => {
    event.preventDefault()
    mark(false)
    onDrop([...(event.dataTransfer?.files ?? [])])
  })
}
