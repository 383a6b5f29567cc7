import type { Like } from './index.svelte.ts';
import type en from './account.en.ts';

export default {
  secret: {
    username: 'Enw defnyddiwr',
    password: 'Cyfrinair',
    hint: 'O leiaf 12 nod. Mae tri neu bedwar gair yn hawdd eu cofio.',
    short: 'Gwnewch y cyfrinair hwn yn hirach. Mae angen 12 nod.',
    easy: 'Mae’r cyfrinair hwn yn hawdd ei ddyfalu. Dewiswch un arall.',
    again: 'Cyfrinair eto',
    differs: 'Nid yw’r 2 gyfrinair yr un fath. Teipiwch ef eto.',
    show: 'Dangos y cyfrinair',
    hide: 'Cuddio’r cyfrinair',
  },
  activate: {
    title: 'Troi eich cyfrif ymlaen',
    lead: 'Rhoddodd gweinyddwr enw defnyddiwr a chod i chi. Mae’r cod yn gweithio unwaith.',
    code: 'Cod un-tro',
    codeHint: '12 llythyren a rhif mewn 4 grŵp.',
    wrong: 'Nid yw’r enw defnyddiwr a’r cod yn perthyn i’w gilydd, neu mae’r cod yn rhy hen. Gofynnwch am un newydd.',
    locked: 'Bu gormod o gynigion. Arhoswch, neu gofynnwch am god newydd.',
    go: 'Ei droi ymlaen',
    going: 'Yn ei droi ymlaen',
    link: 'Mae gen i god un-tro',
    back: 'Yn ôl i fewngofnodi',
  },
  key: {
    title: 'Ychwanegu eich dilysydd',
    lead: 'Rydym yn dangos yr allwedd hon unwaith. Ychwanegwch hi at yr ap dilysu ar eich ffôn cyn parhau.',
    step1: 'Agorwch eich ap dilysu.',
    step2: 'Dewiswch ychwanegu cyfrif drwy allwedd.',
    step3: 'Teipiwch yr allwedd hon, neu agorwch y ddolen ar y ffôn.',
    key: 'Eich allwedd',
    copy: 'Copïo’r allwedd',
    copied: 'Mae’r allwedd wedi’i chopïo.',
    link: 'Agor yn yr ap',
    kept: 'Rwyf wedi ychwanegu’r allwedd at fy ap',
    needKept: 'Ticiwch hwn pan fydd yr allwedd yn eich ap. Ni allwch ei gweld eto.',
  },
} satisfies Like<typeof en>;
