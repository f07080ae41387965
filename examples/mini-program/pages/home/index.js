const config = require('../../config')
const consents = require('../../utils/consents')
const place = require('../../utils/place')
const queue = require('../../utils/queue')
const scenes = require('../../utils/scenes')
const { explain } = require('../../utils/messages')
const { texts } = require('../../utils/i18n')
const { uuid } = require('../../utils/ids')

Page({
  data: { t: {}, store: null, busy: false, notice: '', needsSettings: false, coupons: [], canAsk: false },

  // Consent comes first: before it is answered nobody is asked who they are, nor where.
  async onShow() {
    this.setData({ t: texts(), canAsk: config.templates.length > 0 })
    if (!consents.answered()) {
      if (!this.asked) consents.first()
      this.asked = true // whoever goes back without an answer may look around
      return
    }
    try {
      const scan = await scenes.tell()
      if (scan && scan.store) this.setData({ store: scan.store })
    } catch (refused) {
      this.setData({ notice: explain(refused) })
    }
  },

  async checkIn() {
    if (!consents.first()) return
    this.begin()
    let where
    try {
      where = await place.here()
    } catch (failure) {
      this.setData({ busy: false, notice: texts().noPlace, needsSettings: true })
      return
    }
    await this.send(Object.assign({ kind: 'manual' }, where))
  },

  scanCode() {
    if (!consents.first()) return
    wx.scanCode({
      scanType: ['qrCode'],
      success: ({ result }) => {
        this.begin()
        this.send({ kind: 'store_qr', evidence: { code: result } })
      }
    })
  },

  begin() {
    this.setData({ busy: true, notice: '', needsSettings: false, coupons: [] })
  },

  // The id is made once and goes with every try, also the one from the queue.
  async send(body) {
    const checkIn = Object.assign(
      { id: uuid(), occurred_at: new Date().toISOString(), consent_receipt: consents.receipt() },
      body
    )
    try {
      const answer = await queue.send('checkIn', checkIn)
      this.setData(Object.assign({ busy: false }, this.shown(answer)))
    } catch (refused) {
      this.setData({ busy: false, notice: explain(refused) })
    }
  },

  shown(answer) {
    const t = texts()
    if (!answer) return { notice: t.queued }
    scenes.keepUnlessInvited(answer.invitation)
    if (answer.check_in.status === 'not_recorded') return { notice: t.notRecorded }
    const arrived = answer.visits.some((visit) => visit.state === 'open')
    return { coupons: answer.coupons, notice: arrived ? t.arrived : t.nothingHere }
  },

  // WeChat lets this be asked on a tap only, and each acceptance permits one message.
  remindMe() {
    wx.requestSubscribeMessage({ tmplIds: config.templates, complete: () => {} })
  },

  openSettings() {
    wx.openSetting({})
  },

  toCoupons() {
    wx.navigateTo({ url: '/pages/coupon/index' })
  },

  toJoin() {
    wx.navigateTo({ url: '/pages/join/index' })
  },

  toPrivacy() {
    wx.navigateTo({ url: '/pages/consent/index' })
  }
})
