// The person's token: from wx.login, for an hour, in memory only. A login code counts once, so
// whatever became of an answer, the next try takes a new code.
const EARLY_MS = 60 * 1000

let held = null
let pending = null
let exchange = null

function wxLogin() {
  return new Promise((resolve, reject) => {
    wx.login({ success: (answer) => resolve(answer.code), fail: reject })
  })
}

async function logIn() {
  const answer = await exchange(await wxLogin())
  held = { token: answer.token, until: Date.parse(answer.expires_at) - EARLY_MS }
  return held.token
}

module.exports = {
  // `exchange` gives {token, expires_at} for a code.
  logInBy(how) {
    exchange = how
  },

  // Calls that come together share one login.
  token() {
    if (held && Date.now() < held.until) return Promise.resolve(held.token)
    if (!pending) {
      pending = logIn()
      const done = () => {
        pending = null
      }
      pending.then(done, done)
    }
    return pending
  },

  drop(token) {
    if (held && held.token === token) held = null
  }
}
