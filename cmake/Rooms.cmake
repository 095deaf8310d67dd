# sluice_room(NAME SOURCES … DEPENDS …): one room of the architecture, a static library whose
# headers each compile alone.
function(sluice_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;HEADERS;DEPENDS;PRIVATE" ${ARGN})
  add_library(sluice_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(sluice_${name} PUBLIC sluice_flags ${ROOM_DEPENDS} PRIVATE ${ROOM_PRIVATE})
  if(ROOM_HEADERS)
    target_sources(sluice_${name} PUBLIC FILE_SET headers TYPE HEADERS
      BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${ROOM_HEADERS})
    set_target_properties(sluice_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  endif()
endfunction()

# sluice_test(NAME SOURCES … DEPENDS … [LABELS …] [TIMEOUT s]): a GoogleTest program, each of its
# tests known to ctest by name. Label `threads` marks what crosses threads: ctest runs it under TSan too.
function(sluice_test name)
  cmake_parse_arguments(TEST "SERIAL" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE sluice_flags ${TEST_DEPENDS} GTest::gtest GTest::gmock
    GTest::gtest_main)
  set(properties TIMEOUT ${TEST_TIMEOUT} LABELS "${TEST_LABELS}")
  if(TEST_SERIAL)
    list(APPEND properties RUN_SERIAL ON)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()

# sluice_fuzz_target(NAME SOURCE DEPENDS … ): NAME_fuzzer under SLUICE_FUZZ (libFuzzer); otherwise a
# test that replays tests/fuzz/corpus/NAME through the same entry point.
function(sluice_fuzz_target name source)
  cmake_parse_arguments(FUZZ "" "" "DEPENDS" ${ARGN})
  if(SLUICE_FUZZ)
    add_executable(${name}_fuzzer ${source})
    target_link_libraries(${name}_fuzzer PRIVATE sluice_flags ${FUZZ_DEPENDS} -fsanitize=fuzzer)
  else()
    add_executable(${name}_replay ${source} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    target_link_libraries(${name}_replay PRIVATE sluice_flags ${FUZZ_DEPENDS})
    add_test(NAME fuzz_replay.${name}
      COMMAND ${name}_replay ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  endif()
endfunction()
