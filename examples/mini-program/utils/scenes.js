// The code by which somebody came: told once, and its invitation kept for joining.
const { uuid } = require('./ids')
const queue = require('./queue')

const SCAN = 'scan'
const INVITATION = 'invitation'

// `options` are those of onLaunch and onShow. The same launch comes to both.
function remember(options) {
  const scene = options && options.query && options.query.scene
  if (!scene) return
  const decoded = decodeURIComponent(scene)
  const last = wx.getStorageSync(SCAN)
  if (last && last.scene === decoded && Date.now() - last.at < 60 * 1000) return
  wx.setStorageSync(SCAN, { id: uuid(), scene: decoded, at: Date.now(), told: false })
}

function invitation() {
  const kept = wx.getStorageSync(INVITATION)
  return kept && Date.parse(kept.expires_at) > Date.now() ? kept.token : undefined
}

module.exports = {
  remember,
  invitation,

  // What the scanned code leads to; null where none was scanned, or no answer came.
  async tell() {
    const scan = wx.getStorageSync(SCAN)
    if (!scan || scan.told) return null
    const answer = await queue.send('tellScan', { id: scan.id, scene: scan.scene })
    wx.setStorageSync(SCAN, Object.assign({}, scan, { told: true }))
    if (answer && answer.invitation) wx.setStorageSync(INVITATION, answer.invitation)
    return answer
  },

  // One from a check-in. That of a scanned code stays, for it says who brought the person here.
  keepUnlessInvited(shown) {
    if (shown && !invitation()) wx.setStorageSync(INVITATION, shown)
  },

  forgetInvitation() {
    wx.removeStorageSync(INVITATION)
  }
}
