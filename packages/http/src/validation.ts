/** What a request must look like, and what is said when it does not. */
import AjvCompiler from '@fastify/ajv-compiler'
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'

const build = AjvCompiler()
type Validate = ReturnType<FastifySchemaCompiler<object>>
type ValidatorOptions = NonNullable<Parameters<typeof build>[1]>

/**
 * Half of a surrogate pair cannot be kept, since no UTF-8 says it. A format and not a pattern, because the patterns of the
 * OpenAPI document are read by many engines, of which only some know surrogates or `\p{Cs}`.
 */
export const WELL_FORMED = 'well-formed'
const onCreate: ValidatorOptions['onCreate'] = (ajv) => void ajv.addFormat(WELL_FORMED, (text) => text.isWellFormed())

/** JSON has types and says what it means: `1` is not a text, and a member that nobody knows is a mistake that must not go unseen. */
const exact = build({}, { onCreate, customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } })

/** Addresses and headers have only text. */
const fromText = build({}, { onCreate, customOptions: { coerceTypes: 'array', removeAdditional: false } })

/** Takes the place of Fastify's own, which turns `1` into `"1"`, and drops what a schema does not know, in bodies as well. */
export const compileValidator: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  const compile = () => (httpPart === 'body' ? exact({ schema }) : fromText({ schema }))
  let compiled: Validate | null = null
  // By its first request: compiling those of all routes took half a second of each start. Fastify reads the errors off the function.
  const validate: Validate = (value: unknown) => {
    compiled ??= compile()
    const result = compiled(value)
    validate.errors = compiled.errors ?? null
    return result
  }
  return validate
}

/** PostgreSQL has no NUL. */
export const TEXT = '^[^\\u0000]*$'

/** No control characters: a SKU appears in addresses, headers and logs. */
export const SKU = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$'

/** Codes stand in addresses, and in other systems. */
export const CODE = '^[A-Za-z0-9_-]+$'

/** Of a file name, without the dot. */
export const EXTENSION = '^[a-z0-9]+$'

const RULES: Readonly<Record<string, string>> = {
  [TEXT]: 'must not contain the NUL character',
  [SKU]: 'must not contain control characters',
  [CODE]: 'must consist of letters, digits, _ and -',
  [EXTENSION]: 'must consist of small letters and digits, without a dot',
  [WELL_FORMED]: 'must not contain half of a surrogate pair',
}

/** What was wrong with one field. */
export interface FieldError {
  readonly field: string
  readonly message: string
}

/** In words for whoever wrote the request; `whole` is the name of all of it, for what is wrong with no single field. */
export function fieldError({ keyword, instancePath, params, message }: FastifySchemaValidationError, whole: string): FieldError {
  const path = instancePath.split('/').slice(1)
  const nameOf = (...names: readonly unknown[]) => [...path, ...names].join('.') || whole
  switch (keyword) {
    case 'required':
      return { field: nameOf(params['missingProperty']), message: 'is required' }
    case 'additionalProperties':
      return { field: nameOf(params['additionalProperty']), message: 'is not a field of this request' }
    case 'enum':
      return { field: nameOf(), message: `must be one of ${[params['allowedValues']].flat().join(', ')}` }
    case 'pattern':
    case 'format':
      return { field: nameOf(), message: RULES[String(params[keyword])] ?? message ?? 'is not valid' }
    case 'minProperties':
      return { field: nameOf(), message: 'must have at least one field' }
    default:
      return { field: nameOf(), message: message ?? 'is not valid' }
  }
}
