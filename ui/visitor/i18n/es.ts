import type { Like } from '../../shared/i18n/index.svelte.ts';
import type en from './en.ts';

export default {
  nav: { main: 'Menú principal', home: 'Inicio', visits: 'Visitas', people: 'Personas', news: 'Noticias', more: 'Más', account: 'Mi cuenta', help: 'Ayuda', unread: (p) => `${p.n} nuevas` },
  signIn: {
    title: 'Iniciar sesión',
    lead: 'Vea y hable con alguien que está adentro, desde su casa.',
    phone: 'Número de teléfono',
    pin: 'PIN',
    noAccount: '¿Es nuevo aquí?',
    create: 'Crear una cuenta',
    resend: 'Enviar de nuevo el correo de activación',
    codeTitle: 'Revise su correo',
    codeLead: (p) => `Enviamos un código de 6 números a ${p.to}.`,
    code: 'Código',
    codeNew: 'Enviar un código nuevo',
    codeSent: 'Enviamos un código nuevo.',
    agreeTitle: 'Antes de seguir',
    agreeLead: 'Marque cada línea para mostrar que está de acuerdo.',
    agree: 'Aceptar',
    decline: 'No estoy de acuerdo',
  },
  help: {
    title: 'Ayuda',
    call: 'Llámenos',
    how: 'Cómo funciona',
    step1: 'Envíe fotos de su identificación.',
    step2: 'Agregue a la persona que quiere visitar.',
    step3: 'Proponga un día y una hora.',
    step4: 'Entre desde su teléfono o computadora.',
    tips: 'Consejos para una buena visita',
    line: (p) => `Ayuda: ${p.phone} · ${p.hours}`,
  },
  offline: { title: 'Está sin conexión' },
} satisfies Like<typeof en>;
