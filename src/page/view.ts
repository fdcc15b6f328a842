/** The answer's side of the page: index.html's elements filled with what there is to say. */
import { type Answer, agreeing, type ChartRow, chartRows, sentence } from './answer.ts'
import type { Model, Problem } from './api.ts'
import { bytes, count, duration, nats, percent } from './format.ts'

const unknown = '–'

const region = element('answer', HTMLElement)
const label = element('label', HTMLElement)
const words = element('sentence', HTMLElement)
const retry = element('retry', HTMLButtonElement)
const keyForm = element('key-form', HTMLFormElement)
const chart = element('chart', HTMLTableElement)
const rows = element('rows', HTMLTableSectionElement)
const members = element('members', HTMLElement)
const figures = {
  discreteTime: element('discrete-time', HTMLElement),
  baselineTime: element('baseline-time', HTMLElement),
  agreement: element('agreement', HTMLElement),
  entropy: element('entropy', HTMLElement),
  mutualInformation: element('mutual-information', HTMLElement),
}
const facts = element('facts', HTMLElement)

/** The element of this id; its absence is a mistake in index.html. */
export function element<E extends HTMLElement>(id: string, type: abstract new () => E): E {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}`)
  return found
}

/** The model's classes, and no answer. */
export function showNothing(model: Model): void {
  showState('empty')
  label.textContent = ''
  words.textContent = model.input.channels === 1 ? 'Nothing drawn yet.' : 'No image yet.'
  element('discrete-heading', HTMLElement).textContent =
    model.members === 1 ? 'Discrete' : `Discrete, ${model.members} members`
  chart.classList.toggle('alone', !model.baseline)
  chart.classList.toggle(
    'wide',
    model.labels.some(name => name.length > 2),
  )
  facts.textContent = describe(model)
  showRows(
    model.labels.slice(0, 10).map(name => ({ label: name, discrete: 0, baseline: 0 })),
    () => '',
  )
  for (const figure of Object.values(figures)) figure.textContent = unknown
  showMembers(model.members, 0)
}

/** The answer that is there is about to change. */
export function showWaiting(): void {
  region.ariaBusy = 'true'
}

export function showAnswer(model: Model, answer: Answer): void {
  const { discrete, baseline, uncertainty } = answer
  showState('answered')
  label.textContent = discrete.label
  label.classList.toggle('long', discrete.label.length > 2)
  words.textContent = sentence(answer)
  showRows(chartRows(model.labels, answer), percent)
  figures.discreteTime.textContent = time(discrete.milliseconds)
  figures.baselineTime.textContent = time(baseline?.milliseconds ?? null)
  figures.agreement.textContent = `${agreeing(uncertainty)} of ${uncertainty.members}`
  figures.entropy.textContent = `${nats(uncertainty.entropy)} nats`
  figures.mutualInformation.textContent = `${nats(uncertainty.mutualInformation)} nats`
  facts.textContent = `${describe(model)} · computed by ${answer.backend} kernels`
  showMembers(uncertainty.members, agreeing(uncertainty))
}

/** @param model null where the models themselves could not be had */
export function showProblem(model: Model | null, { title, message, temporary, needsKey }: Problem): void {
  if (model !== null) showNothing(model)
  showState('failed')
  retry.hidden = !temporary
  keyForm.hidden = !needsKey
  label.textContent = title
  words.textContent = message
}

function describe({ name, version, members, wordOperations, bytes: size }: Model): string {
  return [
    `${name} ${version}`,
    members === 1 ? bytes(size.model) : `${bytes(size.model)} for ${members} members`,
    ...(size.baseline === null ? [] : [`${bytes(size.baseline)} for the float twin`]),
    `${count(wordOperations)} word operations an image and member`,
  ].join(' · ')
}

function showState(state: 'empty' | 'answered' | 'failed'): void {
  region.className = `answer ${state}`
  region.ariaBusy = 'false'
  // The focus must not fall off the page with what is hidden.
  if (document.activeElement === retry || keyForm.contains(document.activeElement)) region.focus()
  retry.hidden = true
  keyForm.hidden = true
  label.classList.remove('long')
}

/** Rows stay the same elements from one answer to the next, so that their bars move instead of jumping. */
function showRows(shown: readonly ChartRow[], format: (share: number) => string): void {
  while (rows.rows.length > shown.length) rows.deleteRow(-1)
  while (rows.rows.length < shown.length) rows.append(emptyRow())
  const first = {
    discrete: Math.max(...shown.map(row => row.discrete)),
    baseline: Math.max(...shown.map(row => row.baseline ?? 0)),
  }
  for (const [index, row] of shown.entries()) {
    const [discrete, name, baseline] = rows.rows[index]!.cells
    showShare(discrete!, row.discrete, first.discrete, format)
    name!.textContent = row.label
    name!.classList.toggle('first', row.discrete > 0 && row.discrete === first.discrete)
    showShare(baseline!, row.baseline ?? 0, first.baseline, format)
  }
}

function emptyRow(): HTMLTableRowElement {
  const row = document.createElement('tr')
  const name = document.createElement('th')
  name.scope = 'row'
  row.append(emptyShare(), name, emptyShare())
  return row
}

function emptyShare(): HTMLTableCellElement {
  const cell = document.createElement('td')
  const box = document.createElement('div')
  const bar = document.createElement('span')
  const value = document.createElement('span')
  box.className = 'share'
  bar.className = 'bar'
  value.className = 'value'
  box.append(value, bar)
  cell.append(box)
  return cell
}

function showShare(
  cell: HTMLTableCellElement,
  share: number,
  greatest: number,
  format: (share: number) => string,
): void {
  cell.classList.toggle('first', share > 0 && share === greatest)
  cell.style.setProperty('--share', String(share))
  cell.querySelector('.value')!.textContent = format(share)
}

function showMembers(count: number, agreed: number): void {
  members.replaceChildren(
    ...Array.from({ length: count }, (_, index) => {
      const member = document.createElement('span')
      member.classList.toggle('agrees', index < agreed)
      return member
    }),
  )
}

function time(milliseconds: number | null): string {
  return milliseconds === null ? unknown : duration(milliseconds)
}
