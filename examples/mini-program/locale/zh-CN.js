module.exports = {
  home: '到店有礼',
  lead: '到店后签到,领取当天的优惠。',
  from: '您扫描的门店',
  checkIn: '我已到店,签到',
  checkingIn: '正在签到…',
  scanCode: '扫描店内签到码',
  coupons: '我的优惠券',
  join: '加入会员',
  privacy: '隐私设置',
  arrived: '签到成功',
  nothingHere: '附近没有找到门店。如果您已在店内,请扫描店内的签到码。',
  notRecorded: '您还没有同意记录到店,所以本次签到没有保存。',
  queued: '网络不通,签到已保存在手机上,恢复后自动发送。',
  noPlace: '没有得到位置。您可以在设置中允许使用位置,或扫描店内的签到码。',
  openSettings: '打开设置',
  won: '您得到了优惠券',
  remind: '有优惠时提醒我',
  couponsTitle: '优惠券',
  noCoupons: '还没有优惠券。到店签到试试。',
  until: '有效期至',
  showCode: '出示核销码',
  more: '更多',
  states: {
    granted: '可使用',
    not_yet_valid: '尚未生效',
    redeemed: '已使用',
    expired: '已过期',
    revoked: '已作废'
  },
  joinTitle: '成为会员',
  joinLead: '只需要您微信绑定的手机号,用于在各门店认出您。',
  joinWithPhone: '用手机号加入',
  joined: '欢迎加入',
  alreadyMember: '您已经是会员',
  knownBy: '手机号',
  noPhone: '您没有提供手机号,可以稍后再加入。',
  consentTitle: '在开始之前',
  consentLead: '每一项都由您决定,随时可以更改。不同意也可以继续浏览。',
  save: '保存',
  purposes: {
    visit_history: {
      name: '记录到店',
      why: '您签到时,我们记下您到过哪家门店,用来发放优惠。精确位置保存 7 天后删除。'
    },
    marketing_push: {
      name: '接收优惠消息',
      why: '我们会通过微信订阅消息告诉您得到了什么优惠,每天最多一次。不同意则不发放优惠。'
    }
  },
  offline: '网络不通,请稍后再试。',
  slowly: '操作太频繁,请稍后再试。',
  busy: '服务繁忙,请稍后再试。',
  failed: '没有成功,请再试一次。'
}
