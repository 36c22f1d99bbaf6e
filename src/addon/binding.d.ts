// binding.cjs, or a file of targets/ if a bundler asks for it: see "imports" in package.json.
declare module '#binding' {
  const addon: unknown
  export default addon
}
