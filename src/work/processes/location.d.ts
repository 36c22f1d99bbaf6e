// worker-process.cjs: see "imports" in package.json.
declare module '#worker-process' {
  const program: string | undefined
  export default program
}
