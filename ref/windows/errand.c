/* errand.c - see errand.h. */
#include "ref/windows/errand.h"

/* ------------------------------------------------------------------------------------------------- pool */

/* Its threads may all be stuck, so there must be enough of them for every stream. */
enum { THREADS_MAX = 65535 };
static PTP_POOL pool;
static HMODULE this_module;
static INIT_ONCE pool_once = INIT_ONCE_STATIC_INIT;

static BOOL CALLBACK make_pool(PINIT_ONCE once, void *parameter, void **context) {
  (void)once;
  (void)parameter;
  (void)context;
  pool = CreateThreadpool(NULL);
  if (pool == NULL) return FALSE;
  SetThreadpoolThreadMaximum(pool, THREADS_MAX);
  (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                           (LPCWSTR)(void *)&pool, &this_module);
  return TRUE;
}

bool ipc_pool_submit(PTP_SIMPLE_CALLBACK body, void *context) {
  if (!InitOnceExecuteOnce(&pool_once, make_pool, NULL, NULL)) return false;
  TP_CALLBACK_ENVIRON environment;
  InitializeThreadpoolEnvironment(&environment);
  SetThreadpoolCallbackPool(&environment, pool);
  SetThreadpoolCallbackLibrary(&environment, this_module);
  SetThreadpoolCallbackRunsLong(&environment);
  bool submitted = TrySubmitThreadpoolCallback(body, context, &environment);
  DestroyThreadpoolEnvironment(&environment);
  return submitted;
}

/* ------------------------------------------------------------------------------------------------- errands */

void ipc_errand_drop(ipc_errand *errand) {
  if (atomic_fetch_sub(&errand->references, 1) != 1) return;
  (void)CloseHandle(errand->done);
  errand->release(errand);
}

/* A thread without a handle cannot be called back, and goes by `is_called_back`. */
static HANDLE this_thread(void) {
  HANDLE process = GetCurrentProcess(), thread;
  return DuplicateHandle(process, GetCurrentThread(), process, &thread, 0, FALSE, DUPLICATE_SAME_ACCESS) ? thread
                                                                                                         : NULL;
}

static void set_thread(ipc_errand *errand, HANDLE thread) {
  AcquireSRWLockExclusive(&errand->lock);
  errand->thread = thread;
  ReleaseSRWLockExclusive(&errand->lock);
}

static void CALLBACK run(PTP_CALLBACK_INSTANCE instance, void *context) {
  ipc_errand *errand = context;
  HANDLE thread = this_thread();
  (void)instance;
  set_thread(errand, thread);
  errand->error = atomic_load(&errand->is_called_back) ? ERROR_OPERATION_ABORTED : errand->carry_out(errand);
  set_thread(errand, NULL); /* what the thread does from now on is not this errand */
  if (thread != NULL) (void)CloseHandle(thread);
  if (errand->finish != NULL) errand->finish(errand);
  (void)SetEvent(errand->done);
  ipc_errand_drop(errand);
}

bool ipc_errand_begin(ipc_errand *errand) {
  errand->done = CreateEventW(NULL, TRUE, FALSE, NULL);
  if (errand->done == NULL) return false;
  errand->error = 0;
  errand->thread = NULL;
  atomic_init(&errand->is_called_back, false);
  atomic_init(&errand->references, 2);
  InitializeSRWLock(&errand->lock);
  if (ipc_pool_submit(run, errand)) return true;
  (void)CloseHandle(errand->done);
  return false;
}

void ipc_errand_call_back(ipc_errand *errand) {
  atomic_store(&errand->is_called_back, true);
  AcquireSRWLockExclusive(&errand->lock);
  if (errand->thread != NULL) (void)CancelSynchronousIo(errand->thread);
  ReleaseSRWLockExclusive(&errand->lock);
}
