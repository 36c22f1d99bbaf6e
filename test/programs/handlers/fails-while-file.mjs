// Cannot be imported while the file FSQ_TEST_BROKEN exists.
import fs from 'node:fs'

if (fs.existsSync(process.env.FSQ_TEST_BROKEN)) throw new Error('broken')

export default ({ args }) => {
  if (args[0] === 'break') {
    fs.writeFileSync(process.env.FSQ_TEST_BROKEN, '')
    process.exit(3)
  }
}
