declare const brand: unique symbol

/** A string that has been checked, or made, to be an id of one kind: a file id cannot be passed for a product id. */
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type TenantId = Branded<'TenantId'>
export type TokenId = Branded<'TokenId'>
export type ProductId = Branded<'ProductId'>
export type FileId = Branded<'FileId'>
export type ImageId = Branded<'ImageId'>
export type IngestId = Branded<'IngestId'>
export type HierarchyId = Branded<'HierarchyId'>
export type NodeId = Branded<'NodeId'>
export type ImportId = Branded<'ImportId'>
export type HookSourceId = Branded<'HookSourceId'>
export type HookEventId = Branded<'HookEventId'>
export type WebhookId = Branded<'WebhookId'>
export type WebhookDeliveryId = Branded<'WebhookDeliveryId'>

/** The sha256 of some bytes in lower-case hex; the address of a blob. */
export type Digest = Branded<'Digest'>

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** True for text that a `uuid` column accepts; anything else is an id that nobody has. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}
