export const handler = () => undefined
export default { handler }
