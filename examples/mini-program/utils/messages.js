// What a person reads when something did not work.
const { texts } = require('./i18n')

function explain(refused) {
  const words = texts()
  if (refused.status === 0) return words.offline
  if (refused.status === 429) return words.slowly
  if (refused.status >= 500) return words.busy
  if (refused.problem && refused.problem.title) return refused.problem.title
  return words.failed
}

module.exports = { explain }
