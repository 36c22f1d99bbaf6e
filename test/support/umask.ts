/**
 * Sets the umask of each test file: tests plant files and look at modes, whatever the umask of the person who runs them.
 *
 * @module
 */
import process from 'node:process'

process.umask(0o022)
