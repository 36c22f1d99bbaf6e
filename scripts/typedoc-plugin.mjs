// Extends typedoc where it has no options. Inherited members are documented only where they are declared; otherwise
// each of two dozen errors would repeat a dozen of them. And the errors come last instead of first.
import { Comment, CommentTag, Converter, ReflectionKind } from 'typedoc'

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const type of project.getReflectionsByKind(ReflectionKind.Class)) {
      if (!type.name.endsWith('Error')) continue
      type.comment ??= new Comment()
      type.comment.blockTags.push(new CommentTag('@group', [{ kind: 'text', text: 'Errors' }]))
    }
  })
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    const inherited = project
      .getReflectionsByKind(ReflectionKind.ClassOrInterface)
      .flatMap((type) => type.children ?? [])
      .filter((member) => member.inheritedFrom !== undefined)
    for (const member of inherited) project.removeReflection(member)
  })
}
