// What JSON.parse() may have given.

export type JsonObject = Readonly<Record<string, unknown>>

/** Whether the value of JSON is an object: neither null nor a list is one. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
