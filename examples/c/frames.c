/* Reads frames, red, green and blue for each pixel, from standard input and prints the class of each. */
#include "model.h"

#include <stdio.h>

/* How levels from 0 to 255 become what the network takes, for red, green and blue. */
static const float mean[3] = {0.485f, 0.456f, 0.406f};
static const float deviation[3] = {0.229f, 0.224f, 0.225f};

enum { PIXELS = MODEL_INPUT_ELEMENTS / 3 };

static unsigned char frame[3 * PIXELS];
static float input[MODEL_INPUT_ELEMENTS];
static float output[MODEL_OUTPUT_ELEMENTS];
/* Of floats, for their alignment. */
static float scratch[MODEL_SCRATCH_BYTES / sizeof(float) + 1];

int main(void) {
  for (long number = 0; fread(frame, sizeof frame, 1, stdin) == 1; number++) {
    for (int pixel = 0; pixel < PIXELS; pixel++) {
      for (int colour = 0; colour < 3; colour++) {
        const float share = (float)frame[3 * pixel + colour] / 255.0f;
        input[colour * PIXELS + pixel] = (share - mean[colour]) / deviation[colour];
      }
    }
    model_run(input, output, scratch);
    int best = 0;
    for (int index = 1; index < MODEL_OUTPUT_ELEMENTS; index++) {
      if (output[index] > output[best]) best = index;
    }
    printf("frame %ld: class %d\n", number, best);
  }
  return 0;
}
