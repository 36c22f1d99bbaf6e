// binding.cjs, or one of targets/ where a bundler asks for it: "imports" in package.json.
declare module '#binding' {
  const addon: unknown
  export default addon
}
