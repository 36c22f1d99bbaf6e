/**
 * A replacement of `@jest/globals`, made from jest's own parts, for Deno. jest itself cannot run there: Deno has no
 * vm.SourceTextModule, which jest needs for ES modules.
 */
import { jestExpect } from '@jest/expect'
import { ModuleMocker } from 'jest-mock'

export { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } from 'jest-circus'
export { jestExpect as expect }

const mocker = new ModuleMocker(globalThis)
export const jest = {
  fn: mocker.fn.bind(mocker),
  spyOn: mocker.spyOn.bind(mocker),
  restoreAllMocks: () => mocker.restoreAllMocks(),
}
