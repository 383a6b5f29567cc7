import en from './audit.en.ts'; export default en;
