const scenes = require('./utils/scenes')
const queue = require('./utils/queue')

App({
  onLaunch(options) {
    scenes.remember(options)
    wx.onNetworkStatusChange((status) => {
      if (status.isConnected) queue.flush()
    })
  },

  // Also from the background, when another code was scanned meanwhile.
  onShow(options) {
    scenes.remember(options)
    queue.flush()
  }
})
