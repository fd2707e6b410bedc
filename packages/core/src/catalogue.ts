/** What describes a catalogue beside its products: where images may hang, and for whom they are shown. */

/** A field of products that holds an image, as Akeneo knows them. */
export interface Attribute {
  readonly code: string
  /** Lower case, without the dot; null allows every accepted type. */
  readonly allowedExtensions: readonly string[] | null
  readonly fileBytesMax: number | null
  /** Whether each channel has a value of its own. */
  readonly scopable: boolean
  /** Whether each locale has a value of its own. */
  readonly localizable: boolean
  /** The role that an image in this attribute has, where the value is for all channels and locales. */
  readonly role: string | null
}

/** A way of selling, with the locales that are active in it. */
export interface Channel {
  readonly code: string
  readonly locales: readonly string[]
}

/** A face of the shop, as OpenMage knows them. Its number is given when it is made, from 1 on; 0 is the global level. */
export interface StoreView {
  readonly number: number
  readonly code: string
  readonly name: string
  readonly website: string
}

/** What names the slot of a value on its product: JSON, so that no code can run into the next. */
export function slotOf(attribute: string, channel: string | null, locale: string | null): string {
  return JSON.stringify([attribute, channel, locale])
}
