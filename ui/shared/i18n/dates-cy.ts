// Chromium has no Welsh date data and prints English without a word, so the
// names are ours. Inside a sentence "dydd" is lower case.
export const days = ['dydd Sul', 'dydd Llun', 'dydd Mawrth', 'dydd Mercher', 'dydd Iau', 'dydd Gwener', 'dydd Sadwrn'] as const;
export const shortDays = ['Su', 'Ll', 'Ma', 'Me', 'Ia', 'Gw', 'Sa'] as const;
export const months = [
  'Ionawr', 'Chwefror', 'Mawrth', 'Ebrill', 'Mai', 'Mehefin',
  'Gorffennaf', 'Awst', 'Medi', 'Hydref', 'Tachwedd', 'Rhagfyr',
] as const;
export const am = 'yb';
export const pm = 'yp';
