/** The key that the server asks for. The tab keeps it until it is closed, and no other page sees it. */
const place = 'xnord-key'

let key = kept()

/** null where none has been given. */
export function currentKey(): string | null {
  return key
}

export function useKey(given: string): void {
  key = given
  try {
    sessionStorage.setItem(place, given)
  } catch {
    // A browser that may store nothing: the key lasts as long as the page.
  }
}

function kept(): string | null {
  try {
    return sessionStorage.getItem(place)
  } catch {
    // The same: reading is refused, too.
    return null
  }
}
