/* list.c - prints the mutants as a JSON array, for `cts mutants`. */
#include <stdio.h>

#include "conformance/mutants/mutants.h"

/* Names and sentences hold neither quotes nor backslashes nor controls; others would be no JSON, which the harness
 * refuses. */
static void print_mutant(const mutant *m, const char *separator) {
  printf("%s\n {\"name\": \"%s\", \"sentence\": \"%s\", \"case\": \"%s\", \"shape\": \"%s\", \"mode\": \"%s\"}",
         separator, m->name, m->sentence, m->case_id, m->shape != NULL ? m->shape : "",
         m->mode != NULL ? m->mode : "blocking");
}

int main(void) {
  const char *separator = "[";
  for (const mutant *const *family = mutant_families; *family != NULL; family++) {
    for (const mutant *m = *family; m->name != NULL; m++) {
      print_mutant(m, separator);
      separator = ",";
    }
  }
  printf("\n]\n");
  return fflush(stdout) == 0 ? 0 : 1;
}
