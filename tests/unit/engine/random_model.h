/* Random model: models of random weights for tests, written by the tool vx11-synth ($VX11_SYNTH). */
#ifndef VX11_TEST_ENGINE_RANDOM_MODEL_H
#define VX11_TEST_ENGINE_RANDOM_MODEL_H

/* Writes $VX11_BUILD/tests/random-NAME.gguf with these options of vx11-synth (NULL at the end; at most 30;
 * see `vx11-synth --help`) and returns its path, which is valid until the next call. The same options give
 * the same bytes. With no options: the preset tiny, 6 MB, 4,096 tokens of vocabulary, a context of 4,096.
 *
 * setenv("VX11_GUIDE", path, 1) makes the harness and its scheduler use it in place of the guide model. */
const char *random_model(const char *name, const char *const *options);

#endif
