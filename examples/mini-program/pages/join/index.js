const api = require('../../utils/api')
const consents = require('../../utils/consents')
const scenes = require('../../utils/scenes')
const { explain } = require('../../utils/messages')
const { language, texts } = require('../../utils/i18n')
const { uuid } = require('../../utils/ids')

Page({
  data: { t: {}, busy: false, notice: '', phone: '', joined: '' },

  onLoad() {
    this.key = uuid()
    this.setData({ t: texts() })
  },

  // The button's code is not that of wx.login. Saying no to it is fine.
  async withPhone(event) {
    const { code } = event.detail
    if (!code) {
      this.setData({ notice: texts().noPhone })
      return
    }
    if (!consents.first()) return
    this.setData({ busy: true, notice: '' })
    try {
      const { phone } = await api.sharePhone(code)
      this.setData({ phone })
      await this.join()
    } catch (refused) {
      this.setData({ notice: explain(refused) })
    }
    this.setData({ busy: false })
  },

  // The number is known by now; the invitation says by which store, campaign and KOL they came.
  async join() {
    const t = texts()
    const invitation = scenes.invitation()
    const member = await api.signUp({ invitation }, this.key, language())
    scenes.forgetInvitation()
    this.setData({ joined: member.already_member ? t.alreadyMember : t.joined })
  }
})
