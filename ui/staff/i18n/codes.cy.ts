import en from './codes.en.ts'; export default en;
