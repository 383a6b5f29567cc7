import type { Like } from '../../shared/i18n/index.svelte.ts';
import type en from './en.ts';

export default {
  nav: { main: 'Prif ddewislen', home: 'Hafan', visits: 'Ymweliadau', people: 'Pobl', news: 'Newyddion', more: 'Mwy', account: 'Fy nghyfrif', help: 'Help', unread: (p) => `${p.n} newydd` },
  signIn: {
    title: 'Mewngofnodi',
    lead: 'Gweld a siarad â rhywun y tu mewn, o’ch cartref.',
    phone: 'Rhif ffôn',
    pin: 'PIN',
    noAccount: 'Newydd yma?',
    create: 'Creu cyfrif',
    resend: 'Anfon yr e-bost actifadu eto',
    codeTitle: 'Gwiriwch eich e-bost',
    codeLead: (p) => `Anfonwyd cod 6 digid at ${p.to}.`,
    code: 'Cod',
    codeNew: 'Anfon cod newydd',
    codeSent: 'Rydym wedi anfon cod newydd.',
    agreeTitle: 'Cyn i chi barhau',
    agreeLead: 'Ticiwch bob llinell i ddangos eich bod yn cytuno.',
    agree: 'Derbyn',
    decline: 'Nid wyf yn cytuno',
  },
  help: {
    title: 'Help',
    call: 'Ffoniwch ni',
    how: 'Sut mae’n gweithio',
    step1: 'Anfonwch luniau o’ch ID.',
    step2: 'Ychwanegwch y person rydych am ymweld ag ef.',
    step3: 'Awgrymwch ddiwrnod ac amser.',
    step4: 'Ymunwch o’ch ffôn neu gyfrifiadur.',
    tips: 'Awgrymiadau am ymweliad da',
    line: (p) => `Cymorth: ${p.phone} · ${p.hours}`,
  },
  offline: { title: 'Rydych all-lein' },
} satisfies Like<typeof en>;
