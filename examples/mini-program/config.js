// The one file to change. Both addresses must stand in the console under "request domains".
module.exports = {
  geoUrl: 'https://geo.example.com',
  memberUrl: 'https://member.example.com',

  // The id under which the mini-program was added: ./solomo wechat add shop-mini --kind mini_program
  accountId: 'shop-mini',

  // The version of the texts on the consent page. Change it whenever they change.
  consentVersion: '2026-11',

  // 'precise' (wx.getLocation) or 'fuzzy' (wx.getFuzzyLocation). app.json can declare only one of
  // them: with 'fuzzy' put getFuzzyLocation and scope.userFuzzyLocation there, too.
  location: 'precise',

  // Subscribe-message templates that coupons are told by; the account's outreach names the same.
  templates: []
}
