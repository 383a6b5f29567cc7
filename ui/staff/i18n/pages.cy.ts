import en from './pages.en.ts'; export default en;
