import type { Like } from './index.svelte.ts';
import type en from './account.en.ts';

export default {
  secret: {
    username: 'Nombre de usuario',
    password: 'Contraseña',
    hint: 'Al menos 12 caracteres. Tres o cuatro palabras son fáciles de recordar.',
    short: 'Haga la contraseña más larga. Necesita 12 caracteres.',
    easy: 'Esta contraseña es fácil de adivinar. Elija otra.',
    again: 'Contraseña de nuevo',
    differs: 'Las 2 contraseñas no son iguales. Escríbala de nuevo.',
    show: 'Mostrar contraseña',
    hide: 'Ocultar contraseña',
  },
  activate: {
    title: 'Active su cuenta',
    lead: 'Un administrador le dio un nombre de usuario y un código. El código sirve una vez.',
    code: 'Código de un solo uso',
    codeHint: '12 letras y números en 4 grupos.',
    wrong: 'Este nombre de usuario y este código no van juntos, o el código es demasiado viejo. Pida uno nuevo.',
    locked: 'Hubo demasiados intentos. Espere o pida un código nuevo.',
    go: 'Activarla',
    going: 'Activando',
    link: 'Tengo un código de un solo uso',
    back: 'Volver a iniciar sesión',
  },
  key: {
    title: 'Agregue su autenticador',
    lead: 'Mostramos esta clave una vez. Agréguela a la aplicación de su teléfono antes de seguir.',
    step1: 'Abra su aplicación de autenticación.',
    step2: 'Elija agregar una cuenta con clave.',
    step3: 'Escriba esta clave o abra el enlace en el teléfono.',
    key: 'Su clave',
    copy: 'Copiar la clave',
    copied: 'La clave está copiada.',
    link: 'Abrir en la aplicación',
    kept: 'Ya agregué la clave a mi aplicación',
    needKept: 'Marque esto cuando la clave esté en su aplicación. No podrá verla de nuevo.',
  },
} satisfies Like<typeof en>;
