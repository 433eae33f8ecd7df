# cmk_library(<folder> SOURCES … [PUBLIC …] [PRIVATE …])    library cmkstore_<folder>, alias cmkstore::<folder>
# cmk_program(<name> SOURCES … DEPS …)                       an executable of the product
# cmk_test(<name> SOURCES … DEPS … [LABELS …] [TIMEOUT seconds])  a GoogleTest program; each test is a ctest test

# What the server allocates with: a read takes a tenth less of a processor than with glibc's malloc
# (docs/performance.md). Sanitizers bring their own.
find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)
add_library(cmkstore_allocator INTERFACE)
add_library(cmkstore::allocator ALIAS cmkstore_allocator)
if(NOT CMKSTORE_SANITIZE)
  target_link_libraries(cmkstore_allocator INTERFACE ${JEMALLOC_LIBRARY})
endif()

function(cmk_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wno-sign-conversion
                                           $<$<BOOL:${CMKSTORE_WERROR}>:-Werror>)
endfunction()

function(cmk_library folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  set(target cmkstore_${folder})
  add_library(${target} STATIC ${ARG_SOURCES})
  add_library(cmkstore::${folder} ALIAS ${target})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  cmk_warnings(${target})
endfunction()

function(cmk_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  cmk_warnings(${name})
endfunction()

function(cmk_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  include(GoogleTest)
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  cmk_warnings(${name})
  if(CMKSTORE_SANITIZE MATCHES "thread")
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/sanitizers/absl_locks.cc)
    target_link_libraries(${name} PRIVATE absl::synchronization)
    set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON)  # so that libraries find them too
  endif()
  # Tests run in the root of the source tree, where they find golden files.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
