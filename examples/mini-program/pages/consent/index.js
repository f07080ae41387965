const consents = require('../../utils/consents')
const queue = require('../../utils/queue')
const { explain } = require('../../utils/messages')
const { texts } = require('../../utils/i18n')

// Nothing is ticked beforehand.
Page({
  data: { t: {}, questions: [], busy: false, notice: '' },

  onLoad() {
    const t = texts()
    const questions = consents.PURPOSES.map((purpose) =>
      Object.assign({ purpose, granted: consents.granted(purpose) }, t.purposes[purpose])
    )
    this.setData({ t, questions })
  },

  toggle(event) {
    const at = event.currentTarget.dataset.at
    this.setData({ [`questions[${at}].granted`]: event.detail.value })
  },

  async save() {
    this.setData({ busy: true, notice: '' })
    try {
      for (const { purpose, granted } of this.data.questions) await consents.say(purpose, granted)
      if (!consents.granted('visit_history')) queue.forget()
      if (getCurrentPages().length > 1) wx.navigateBack()
      else wx.reLaunch({ url: '/pages/home/index' })
    } catch (refused) {
      this.setData({ busy: false, notice: explain(refused) })
    }
  }
})
